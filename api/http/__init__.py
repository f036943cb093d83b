"""HTTP itself, whatever the route: bodies, answers, problems, cursors, parameters."""
