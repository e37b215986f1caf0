"""Bilag's worker: takes a job, calls the accounting system, reports what happened. SQL decides the rest."""
