"""The fakes as people start them: `make dev FAKES=1`."""

import subprocess
import sys
from pathlib import Path


def test_a_command_runs_beside_the_fakes_with_settings_that_lead_to_them(tmp_path: Path) -> None:
    program = (
        "from cryptocontent.integrations.market_data import CoinGecko, DefiLlama\n"
        "from cryptocontent.integrations.web import Web\n"
        "from cryptocontent.settings import Settings\n"
        "settings = Settings()\n"
        "print(len(list(CoinGecko(settings).current(['bitcoin'], ['usd']))))\n"
        "print(len(list(DefiLlama(settings).current(['bitcoin', 'chain:Ethereum'], ['usd']))))\n"
        "host = settings.web_private_hosts[0]\n"
        "print(Web(settings).fetch(f'http://{host}/', max_bytes=10**6, seconds=10).status in (200, 404))\n"
        "print(settings.google_credentials_file.is_file(), bool(settings.wordpress_logins))\n"
        "print(bool(settings.linear_api_key and settings.github_token))\n"
    )
    result = subprocess.run(
        [sys.executable, "-m", "tests.fakes", sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        env={"CRYPTOCONTENT_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-5:] == ["3", "2", "True", "True True", "True"]
    assert "cryptocontent source add google_drive" in result.stdout
    settings = (tmp_path / "fakes.env").read_text()
    assert "LINEAR_API_URL=http://127.0.0.1:" in settings and "COINGECKO_URL=" in settings
