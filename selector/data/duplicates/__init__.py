"""The same picture twice: found before training, kept out of two splits, and listed."""

from selector.data.duplicates.copies import crossing as crossing
from selector.data.duplicates.copies import move_to_train as move_to_train
from selector.data.duplicates.copies import tie as tie
from selector.data.duplicates.listing import describe as describe
from selector.data.duplicates.search import similar as similar
from selector.data.duplicates.thumbnail import SIDE as SIDE
from selector.data.duplicates.thumbnail import SMALLEST as SMALLEST
from selector.data.duplicates.thumbnail import look_alikes as look_alikes
from selector.data.duplicates.thumbnail import thumbnail as thumbnail
