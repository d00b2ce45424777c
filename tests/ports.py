"""Ports of this machine."""

import os
import socket


def free_port() -> int:
  """A free port below those that systems give out of their own accord."""
  for port in range(20_000 + os.getpid() % 10_000, 32_000):
    if is_local("127.0.0.1", port):
      return port
  raise OSError("no free port")


def is_local(host: str, port: int = 0) -> bool:
  """Whether a server can listen to a port of this address."""
  family = socket.AF_INET6 if ":" in host else socket.AF_INET
  try:
    with socket.create_server((host, port), family=family):
      return True
  except OSError:
    return False
