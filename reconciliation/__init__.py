"""What people and programs do about differences: runs, breaks, reports. What differs is found in SQL (dbt/)."""
