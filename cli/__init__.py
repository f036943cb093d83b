"""The console script `counterfoil`: thin Typer commands; whatever is heavy is imported inside the command."""
