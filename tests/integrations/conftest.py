"""What the tests of the integrations share."""

from core.conftest import unchecked as unchecked
