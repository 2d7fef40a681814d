"""Results for people: tables, contact sheets and a page of HTML. Import from the modules."""
