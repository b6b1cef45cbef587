"""Studies that start by the calendar: which are due, and one process for each that runs."""
