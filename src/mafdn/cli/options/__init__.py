"""Options that several commands share, by subject; one type for each option."""
