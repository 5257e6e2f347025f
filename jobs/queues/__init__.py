"""How jobs are accepted, looked at, waited for and cancelled."""
