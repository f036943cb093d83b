"""The nightly segment: a book's signed records, written to an object store with their manifest."""
