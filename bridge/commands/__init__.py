"""Commands of `lianqiao`: options in, calls of the packages below, words out."""
