"""BAI2 cash management reports as text: their records, what a detail and a summary say, what banks write into texts."""
