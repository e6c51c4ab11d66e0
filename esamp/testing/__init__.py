"""What tests of the library and of third-party parts need."""
