"""Engines: what runs the LLM and drives a decode policy."""
