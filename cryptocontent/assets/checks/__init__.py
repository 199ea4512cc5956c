"""Asset checks: of articles (their findings) and of references and passages (as tables)."""
