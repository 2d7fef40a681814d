"""What trains two networks against one another. Import from the modules.

Conventions, here and in `onet.gan_theory`: a logit above 0 means real. `gamma` is the factor of
gamma/2 * E||grad D||^2. Mescheder's thesis ("Stability and Expressiveness of Deep Generative
Models", cited as [M]) calls positive logits fake: its psi is -psi here, and nothing else differs.
Further sources: Khrulkov et al., "Functional Space Analysis of Local GAN Convergence" [K]; "Local
Stability and Performance of Simple Gradient Penalty mu-Wasserstein GAN" [P]; Sun et al., "Towards a
Better Global Loss Landscape of GANs" [S]; Feizi et al., "Understanding GANs: the LQG Setting".
"""
