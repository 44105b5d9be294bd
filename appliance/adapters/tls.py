"""Owns how a link of ours is encrypted: whom to trust, and who we are. For every room that connects to something.

Never in here: a socket.
"""

import ssl

import msgspec

from appliance.errors import ConfigError


class Tls(msgspec.Struct, frozen=True):
    """`section` of the config: whose certificates to trust, who we are, and whether anybody is believed."""

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    insecure: bool = False
    section: str = "mqtt.tls"

    def context(self) -> ssl.SSLContext:
        """Return the context: TLS 1.2 or later, names checked, unless `insecure`. Raises ConfigError for a bad file."""
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            if self.cert_file is not None:
                context.load_cert_chain(self.cert_file, self.key_file)
        except OSError as broken:  # ssl.SSLError is one
            raise ConfigError(
                f"[{self.section}]: {broken}", hint="give PEM files that this user can read"
            ) from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context
