-- Dagster's login keeps runs and events in a schema of its own. Without `usage` no grant on a table counts, also none to come.
revoke usage on schema recon, analytics from counterfoil_dagster;
