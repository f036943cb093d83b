"""CSV as payment providers write it, read as a stream and by header names."""
