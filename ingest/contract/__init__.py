"""What a source promises and how a row is held to it: vocabulary, rows, checks, cards, control totals."""
