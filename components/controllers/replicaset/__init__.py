"""ReplicaSet and ReplicationController: keep a number of pods alive. Both run on the one plan."""
