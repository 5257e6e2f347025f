from __future__ import annotations

import pytest

from composition.config import ConfigError
from composition.startup import config_errors_end_the_process


def test_an_unusable_configuration_ends_the_process_with_its_message_alone(capsys):
    with pytest.raises(SystemExit) as ended, config_errors_end_the_process():
        raise ConfigError("models.profile: huge")
    assert ended.value.code == 2
    assert ended.value.__cause__ is None
    assert capsys.readouterr() == ("", "error: models.profile: huge\n")


def test_any_other_error_keeps_its_traceback(capsys):
    with pytest.raises(ValueError, match="a bug"), config_errors_end_the_process():
        raise ValueError("a bug")
    assert capsys.readouterr().err == ""
