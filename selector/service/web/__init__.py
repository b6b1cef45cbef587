"""The web page of a store and the JSON API behind it."""
