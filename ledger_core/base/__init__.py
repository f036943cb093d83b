"""What any database program needs: engine, migrations run, embedded server, processes, files, object stores."""
