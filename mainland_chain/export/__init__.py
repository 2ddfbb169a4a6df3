"""What may leave the mainland: the policy, its transforms, the gate's decision, and the computation of claims. Pure."""
