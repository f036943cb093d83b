"""Write-once object stores: raw files, segments and anchored checkpoints. `port` says what a store promises."""
