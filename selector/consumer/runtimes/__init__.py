"""One file a format: how a bundle's network is opened and run."""
