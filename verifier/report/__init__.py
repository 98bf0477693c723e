"""Reports: each renderer is a pure function of one frozen `Report`, so none can disagree with another."""
