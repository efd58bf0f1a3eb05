"""The operator at scale: real etcd, real API server, real webhook and controllers; only the
sidecars, and the kubelets that would report pods as running, are played.
"""
