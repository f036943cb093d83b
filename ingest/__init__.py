"""The outside world's words: one package a source (fetch, parse, land), and `sample/`, which makes companies."""
