"""What makes parts of this repository that are not the library."""
