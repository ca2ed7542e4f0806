"""Stand-in for docker/login-action."""

import runtime


def main() -> None:
    """Look whether a name and a password were given."""
    missing = [name for name in ("username", "password") if not runtime.given(name)]
    if missing:
        runtime.fail(f"{' and '.join(missing)} required")
    print(f"{runtime.given('registry')}: a folder in a rehearsal, which asks for no password")


if __name__ == "__main__":
    main()
