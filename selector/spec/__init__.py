"""The study file: what it may say, reading it, and writing it back."""

from selector.spec.draft import draft_study
from selector.spec.json_schema import json_schema
from selector.spec.loading import Parts, from_plain, load_study, parse_study, readable_parts
from selector.spec.schema import StudySpec
from selector.spec.writing import spec_sha256, to_plain, to_yaml

__all__ = [
    "Parts",
    "StudySpec",
    "draft_study",
    "from_plain",
    "json_schema",
    "load_study",
    "parse_study",
    "readable_parts",
    "spec_sha256",
    "to_plain",
    "to_yaml",
]
