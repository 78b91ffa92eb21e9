"""What relmask writes as JSON."""

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A frozen record that refuses fields that it does not know, NaN and infinities."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
