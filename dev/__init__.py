"""What a developer needs around Bilag: a throw-away Postgres, stand-ins for accounting systems, sample claims, the demo."""
