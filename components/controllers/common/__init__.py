"""What several controllers share: ownership, pods from templates, deletion order, pod writes."""
