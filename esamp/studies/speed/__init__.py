"""How fast the library is: what ESamp adds, against `generate`, over sizes, by part, and by arithmetic."""
