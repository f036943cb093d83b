"""Landing: a file of a source becomes raw rows, encrypted bytes and one row of `raw.files`, or nothing at all."""
