"""What several controllers share: claiming by owner reference, pods from templates, deletion order, pod writes."""
