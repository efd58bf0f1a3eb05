"""Started by the relay."""

from sidelight_sidecar.observer.app import main

main()
