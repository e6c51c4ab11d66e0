"""Runs that measure the library and its method."""
