"""What was held when: entries in files of a bounded size, and how they are found again."""
