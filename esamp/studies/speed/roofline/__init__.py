"""What ESamp must cost, derived from bytes and floating-point operations alone."""
