"""The one write path into a book's log."""
