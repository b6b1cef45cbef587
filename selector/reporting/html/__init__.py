"""The report as one HTML file that needs nothing from the network."""

from selector.reporting.html.comparison import write_comparison as write_comparison
from selector.reporting.html.material import Material as Material
from selector.reporting.html.material import gather as gather
from selector.reporting.html.page import write as write
