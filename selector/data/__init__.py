"""From a folder, a listing or a built-in source to checked, split and decoded images."""

from selector.data.dataset import Dataset as Dataset
from selector.data.dataset import inspect as inspect
from selector.data.image import load_image as load_image
from selector.data.image import resize as resize
from selector.data.marks import all_marks as all_marks
from selector.data.marks import marks_of as marks_of
from selector.data.parallel import Progress as Progress
from selector.data.pixels import decode as decode
from selector.data.pixels import decode_split as decode_split
from selector.data.seal import folds as folds
from selector.data.seal import without_test as without_test
from selector.data.statistics import image_statistics as image_statistics
