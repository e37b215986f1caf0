"""What a developer needs around Bilag: a throw-away Postgres, fake accounting systems, sample claims, the demo."""
