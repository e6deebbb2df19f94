"""Masters are restarted one by one under traffic: who asks, who watches, and what they may not see."""
